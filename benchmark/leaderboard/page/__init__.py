"""The leaderboard as one HTML file: template and scripts in `assets`, data as JSON within the file."""
