"""Jobs: who drives the cluster, and what can be told about it."""

from trio_gcs.managers.jobs.manager import JobManager
from trio_gcs.managers.jobs.reports import JobReports

__all__ = ["JobManager", "JobReports"]
