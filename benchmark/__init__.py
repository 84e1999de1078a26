"""Core of the suite: contracts, tasks, losses, metrics, recipes, runs, results and leaderboard."""
