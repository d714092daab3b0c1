"""Stock Ray with trio-gcs in the place of its C++ ``gcs_server``, nothing of Ray edited.

>>> import trio_gcs.ray
>>> trio_gcs.ray.install()  # before ray.init(), ray.cluster_utils.Cluster(), or starting `ray` as a child

Ray may live in another environment than trio-gcs: what works inside Ray's Python is one small file that needs nothing
but the standard library (``hook/trio_gcs_ray_hook.py``), reached over ``PYTHONPATH``.
"""

from trio_gcs.ray.install import install

__all__ = ["install"]
