package fimento

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kontor.dev/kontor/internal/psu"
)

// Whose ids a process carries is told once the customer approved: before, they are those that were asked with.
func TestWhoApproved(t *testing.T) {
	const ids = `"socialSecurityNumber": "19950309-6316", "companyId": "556987-6542"`
	approved := status("customerApprovedConsent", "2024-01-12T12:00:00Z")
	who := psu.Identity{NationalID: "9503096316", CompanyID: "5569876542"}
	for _, test := range []struct {
		members string
		want    *psu.Identity
	}{
		{ids, nil},
		{ids + `, "consentFlowStatus": [` + status("consentLinkOpened", "2024-01-12T12:00:00Z") + `]`, nil},
		{ids + `, "consent": "approved"`, &who},
		{ids + `, "consentFlowStatus": [` + approved + `]`, &who},
		{`"socialSecurityNumber": null, "companyId": 5569876542, "consent": "approved"`, &psu.Identity{
			CompanyID: "5569876542",
		}},
		{`"socialSecurityNumber": "", "consent": "approved"`, nil},
	} {
		for source, authenticated := range map[IdentitySource]bool{
			"": false, AskedIDs: false, AuthenticatedIDs: true,
		} {
			var process wireProcess
			if err := json.Unmarshal([]byte(fmt.Sprintf(`{"_id": "p", %s}`, test.members)), &process); err != nil {
				t.Fatal(err)
			}
			a := &adapter{cfg: Config{IdentitySource: source}, clock: time.Now}
			want := test.want
			if want != nil {
				copied := *want
				copied.Authenticated = authenticated
				want = &copied
			}
			if diff := cmp.Diff(want, a.reportOf(&process, "SE").Identity); diff != "" {
				t.Errorf("%s, %q (-want +got):\n%s", test.members, source, diff)
			}
		}
	}
	if err := IdentitySource("bank").Check(); err == nil {
		t.Error("any word is a source")
	}
}
