"""The dashboards as one self-contained HTML file."""
