//! Partition tables (MBR, GPT) and windows onto partitions.
