package providers

import (
	"errors"
	"testing"
)

func TestIgnoreTakesOnlyTheOperationsOwnAnswer(t *testing.T) {
	gone := &Error{Kind: KindNotFound, Operation: "delete_process"}
	if err := Ignore(gone, "delete_process", KindNotFound); err != nil {
		t.Errorf("what is gone: %v", err)
	}
	for _, err := range []error{
		&Error{Kind: KindNotFound, Operation: "login"}, &Error{Kind: KindUnavailable, Operation: "delete_process"},
		errors.New("other"),
	} {
		if Ignore(err, "delete_process", KindNotFound) == nil {
			t.Errorf("%v was ignored", err)
		}
	}
}
