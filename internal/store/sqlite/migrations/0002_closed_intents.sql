-- Closed intents are forgotten by their age.
CREATE INDEX intents_closed ON intents (update_time) WHERE state <> 'open';
