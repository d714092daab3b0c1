"""What fits where: resources, labels, the view of the cluster and the placing of bundles. Pure: nothing here waits."""
