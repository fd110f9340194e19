"""Whether this machine can do the job."""
