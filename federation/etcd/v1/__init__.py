"""Generated: what is said to etcd, with etcd's field numbers under names of our own."""
