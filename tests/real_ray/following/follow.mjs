// A subscriber written from docs/events.md alone, with nothing but what Node brings along: prints each state of the actor
// that is called followed, until it is dead.
const [url, token] = process.argv.slice(2);
const bearer = "bearer." + Buffer.from(token).toString("base64url");
const stream = new WebSocket(`${url}?kinds=actor`, ["trio-gcs.v1", bearer]);
stream.onmessage = ({ data }) => {
  const { type, row, was } = JSON.parse(data);
  if (type === "synced") console.log("synced");
  if (type !== "event" || row.body?.name !== "followed") return;
  if (row.state !== was) console.log(`| ${was || "unborn"} -> ${row.state}`);
  if (row.state === "DEAD") stream.close();
};
stream.onerror = (error) => {
  console.error(error.message ?? error);
  process.exitCode = 1;
};
