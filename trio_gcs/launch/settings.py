"""From Ray's command line and environment to the settings of one run, every mistake named."""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path

from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.auth import auth_token
from trio_gcs.launch.events import ports_of_environment
from trio_gcs.launch.files import port_file
from trio_gcs.launch.flags import Flags
from trio_gcs.launch.listen import hosts_of
from trio_gcs.launch.scheduling import scheduling_of_environment
from trio_gcs.launch.storage import outage_of_environment, store_of_ray
from trio_gcs.ray_config import RayConfig

NODE_ID_BYTES = 28
PORT_MAX = 65535


def settings_of_ray(flags: Flags, environ: Mapping[str, str]) -> DaemonSettings:
    """What the daemon is told when Ray starts it."""
    if flags.problem:
        raise StartError(flags.problem)
    ray_config = RayConfig.read(_decoded(flags.config_list), environ)
    session_dir = _session_dir(flags)
    return DaemonSettings(
        ray_config=ray_config,
        gcs_config=outage_of_environment(scheduling_of_environment(GcsConfig.from_ray(ray_config), environ), environ),
        hosts=hosts_of(flags.node_ip_address),
        port=_port(flags.gcs_server_port),
        events_ports=ports_of_environment(environ),
        store=store_of_ray(flags, ray_config),
        node_id=_node_id(flags.node_id),
        node_ip_address=flags.node_ip_address,
        session_name=flags.session_name,
        session_dir=session_dir,
        log_dir=Path(flags.log_dir) if flags.log_dir else None,
        port_file=port_file(session_dir, flags.node_id.lower()) if session_dir and flags.node_id else None,
        metrics_agent_port=flags.metrics_agent_port,
        auth_token=auth_token(ray_config, environ),
    )


def _decoded(config_list: str) -> str:
    try:
        return b64decode(config_list, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise StartError(f"--config_list is not base64 of a text: {error}") from error


def _session_dir(flags: Flags) -> Path | None:
    if not flags.session_dir:
        return None
    session_dir = Path(flags.session_dir)
    if not session_dir.is_dir():
        raise StartError(f"the session directory {session_dir} does not exist")
    return session_dir


def _port(port: int) -> int:
    if not 0 <= port <= PORT_MAX:
        raise StartError(f"--gcs_server_port={port}: 0 to {PORT_MAX} was expected")
    return port


def _node_id(node_id: str) -> str:
    if not node_id:
        return ""
    try:
        size = len(bytes.fromhex(node_id))
    except ValueError:
        size = -1
    if size != NODE_ID_BYTES:
        raise StartError(f"--node-id={node_id}: {2 * NODE_ID_BYTES} hexadecimal digits were expected")
    return node_id.lower()
