//! State on disk: ordered keys, several writes in one commit, read snapshots, watch. No redb type leaves here.
