"""Result files: content, checks, atomic writing, and leases that say which process may write."""
