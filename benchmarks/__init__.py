"""Measures imsuite beside other servers; docs/performance.md tells how."""
