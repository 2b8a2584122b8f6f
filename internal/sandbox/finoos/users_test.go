package finoos_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"kontor.dev/kontor/internal/sandbox/finoos"
)

type userEntry struct {
	CreatedAt, DeletedAt, ModifiedAt, ID, Scopes *string
	Deleted                                      *bool
}

func (h *harness) users(page, perPage int) []userEntry {
	h.t.Helper()
	var list struct{ Users []userEntry }
	h.call("GET", fmt.Sprintf("/users?page=%d&perPage=%d", page, perPage), nil).into(&list)
	return list.Users
}

func TestUsersAreListed(t *testing.T) {
	h := setup(t, finoos.Config{})
	if list := h.users(0, 50); list == nil || len(list) != 0 {
		t.Fatalf("an empty account lists %v, want an empty array", list)
	}
	var ids []string
	for range 5 {
		ids = append(ids, h.user("person", "banking", "contracts"))
	}
	if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(ids[0]) {
		t.Errorf("id %q", ids[0])
	}
	h.clock.Advance(time.Minute)
	h.call("DELETE", "/users/"+ids[1], nil).done()
	h.call("DELETE", "/users/"+ids[1], nil).refused(404, "notFound")

	var seen []string
	for page := range 4 {
		for _, u := range h.users(page, 2) {
			seen = append(seen, *u.ID)
		}
	}
	if fmt.Sprint(seen) != fmt.Sprint(ids) {
		t.Errorf("pages list %v, want %v", seen, ids)
	}
	list := h.users(0, 50)
	for i, u := range list {
		if u.Scopes == nil || *u.Scopes != "banking,contracts" {
			t.Errorf("user %d has scopes %v, want one string", i, u.Scopes)
		}
		deleted := i == 1
		if *u.Deleted != deleted || (*u.DeletedAt != "") != deleted || *u.CreatedAt != "2026-03-18T09:30:00Z" {
			t.Errorf("user %d: deleted %v at %q, created at %q", i, *u.Deleted, *u.DeletedAt, *u.CreatedAt)
		}
	}
	if *list[1].DeletedAt != "2026-03-18T09:31:00Z" {
		t.Errorf("deletedAt %q", *list[1].DeletedAt)
	}
	for _, query := range []string{
		"", "?page=0", "?perPage=5", "?page=-1&perPage=5", "?page=0&perPage=0", "?page=0&perPage=51",
		"?page=x&perPage=5", "?page=0&perPage=x", "?page=0.0&perPage=5",
	} {
		h.call("GET", "/users"+query, nil).refused(400, "badRequest")
	}
	if list := h.users(9223372036854775807, 50); len(list) != 0 {
		t.Errorf("the last page lists %v", list)
	}
}

func TestUsersAreCreated(t *testing.T) {
	h := setup(t, finoos.Config{Scopes: []string{"banking", "documentShipment"}})
	for _, body := range []object{
		{}, {"type": "company"}, {"scopes": []string{}}, {"scopes": []string{"banking", "banking"}},
	} {
		h.call("POST", "/users", body).into(&struct{}{})
	}
	users := h.fino.Users()
	for i, want := range []string{"[banking documentShipment]", "[banking documentShipment]", "[]", "[banking]"} {
		if got := fmt.Sprint(users[i].Scopes); got != want {
			t.Errorf("user %d has scopes %s, want %s", i, got, want)
		}
	}
	if users[0].Company || !users[1].Company {
		t.Error("the types are not kept")
	}
	h.call("POST", "/users", object{"type": "robot"}).refused(400, "badRequest")
	h.call("POST", "/users", object{"scopes": "banking"}).refused(400, "badRequest")
	h.call("POST", "/users", object{"scopes": []string{"everything"}}).refused(400, "badRequest")
	h.call("POST", "/users", object{"scopes": []string{"contracts"}}).refused(403, "forbidden")
	if n := len(h.fino.Users()); n != 4 {
		t.Errorf("%d users, want 4", n)
	}
}

func TestScopesAreAddedAndRemoved(t *testing.T) {
	h := setup(t, finoos.Config{Scopes: []string{"banking", "documentShipment", "companies"}})
	userID := h.user("person", "banking", "companies")
	scopes := "/users/" + userID + "/scopes"
	h.clock.Advance(time.Minute)
	h.call("POST", scopes, object{"name": "documentShipment"}).done()
	h.call("POST", scopes, object{"name": "documentShipment"}).refused(409, "conflict")
	h.call("POST", scopes, object{"name": "contracts"}).refused(403, "forbidden")
	h.call("POST", scopes, object{"name": "everything"}).refused(400, "badRequest")
	h.call("POST", scopes, object{"scope": "banking"}).refused(400, "badRequest") // its name before July 2020
	h.call("DELETE", scopes+"/companies", nil).done()
	h.call("DELETE", scopes+"/companies", nil).refused(404, "notFound")
	u := h.users(0, 1)[0]
	if *u.Scopes != "banking,documentShipment" || *u.ModifiedAt != "2026-03-18T09:31:00Z" {
		t.Errorf("scopes %q, modified at %q", *u.Scopes, *u.ModifiedAt)
	}
}
