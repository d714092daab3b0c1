"""Runtime environments: files and modules travel through the key-value store, and go when nobody needs them."""

import os
import tempfile

import ray
from ray._private.internal_api import get_state_from_address  # noqa: F401 - proves that the import works under stock
from ray.experimental.internal_kv import _internal_kv_list

root = tempfile.mkdtemp()
working_dir = os.path.join(root, "work")
module_dir = os.path.join(root, "mod")
os.makedirs(working_dir)
os.makedirs(os.path.join(module_dir, "carried"))
with open(os.path.join(working_dir, "note.txt"), "w") as file:
    file.write("from the driver")
with open(os.path.join(module_dir, "carried", "__init__.py"), "w") as file:
    file.write("WORD = 'carried'\n")

ray.init(
    num_cpus=2,
    include_dashboard=False,
    runtime_env={
        "working_dir": working_dir,
        "py_modules": [os.path.join(module_dir, "carried")],
        "env_vars": {"TOLD": "yes"},
    },
)


@ray.remote
def look() -> tuple:
    import carried

    with open("note.txt") as file:
        return file.read(), carried.WORD, os.environ["TOLD"]


print("|", "look", ray.get(look.remote()))
print("|", "packages", len(_internal_kv_list("gcs://")))
ray.shutdown()
print("|", "end")
