//! A disk that forgets what was not synced, tears writes, fails and fills up, by a seed.
