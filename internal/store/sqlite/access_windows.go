package sqlite

// Who may do what is not looked at: opening tells.
func mayUse(string) bool { return true }

func mayChange(string) bool { return true }
