package outbox

// ReadPoisoned reads the text of a message of the poison queue.
func ReadPoisoned(text string) Poisoned { return readPoisoned(nil, nil, &text, nil) }
