"""The commands of ``trio-gcs`` that look at a running server, or change something in it, through `trio_gcs.client`."""
