"""What each part of a document may hold, key by key."""
