"""Plain calls, as in a script or a notebook: no async, no Ray.

python examples/notebook.py [HOST:PORT]
"""

import sys

from trio_gcs.client import GlobalState
from trio_gcs.client.messages import NodeState

with GlobalState(sys.argv[1] if len(sys.argv) > 1 else None) as state:
    print(f"cluster {state.cluster_id.hex()[:8]} at {state.address}")
    for node in state.nodes.list(state=NodeState.ALIVE):
        print(f"  {node.node_id.hex()[:8]} {node.node_name} {dict(node.resources_total)}")
    state.internal_kv.put(b"greeting", b"hello", namespace=b"demo")
    print(state.internal_kv.get(b"greeting", namespace=b"demo").decode())
