"""Result files: content, checks, atomic writing, and leases, which give one process the right to write."""
