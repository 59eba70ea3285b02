"""What calling AWS takes, without one of Amazon's SDKs: who this process is (`login`), and requests that prove it (`sigv4`)."""
