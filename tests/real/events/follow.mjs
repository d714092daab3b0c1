// A subscriber written from docs/events.md alone, with nothing but what Node brings along: prints what it hears of keys,
// and ends after the first event.
const [url, token] = process.argv.slice(2);
const bearer = "bearer." + Buffer.from(token).toString("base64url");
const stream = new WebSocket(`${url}?kinds=kv&namespaces=t`, ["trio-gcs.v1", bearer]);
stream.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "synced") console.log("synced");
  if (message.type === "event") {
    console.log("event", message.op, message.row.id, message.row.body.size_bytes);
    stream.close();
  }
};
stream.onerror = (error) => {
  console.error(error.message ?? error);
  process.exitCode = 1;
};
