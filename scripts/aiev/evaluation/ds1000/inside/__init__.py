"""What runs in the sandbox to judge one solution of DS-1000."""
