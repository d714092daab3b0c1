"""A short tour: stock Ray on trio-gcs does what clusters do, and the event log shows that the control plane saw it."""
