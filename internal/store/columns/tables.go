package columns

// Table is a table that every kind of database has, for who copies all rows of one kind into another.
type Table struct {
	Name    string
	Columns []Column
}

// Column is a column of a Table. Those that a kind of database has for itself are not listed.
type Column struct {
	Name string
	Kind Kind
}

// Kind is what stands in a column.
type Kind int

// The kinds. NULL may stand in any but Number and Flag.
const (
	Text Kind = iota
	Number
	Flag // 0 or 1, or what a database has for it
	Blob
)

// Names are those of the columns.
func (t Table) Names() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// table makes a Table of its columns by kind.
func table(name string, text, numbers, flags, blobs []string) Table {
	t := Table{Name: name}
	for kind, names := range [][]string{Text: text, Number: numbers, Flag: flags, Blob: blobs} {
		for _, name := range names {
			t.Columns = append(t.Columns, Column{name, Kind(kind)})
		}
	}
	return t
}

// Tables lists them, such that whatever a row refers to comes before it. Each driver has a test that its migrations
// make these columns, and no further ones but those that it names.
func Tables() []Table {
	type names = []string
	seal := names{"position", "count", "time"}
	return []Table{
		table("working_keys", names{"purpose"}, nil, nil, names{"wrapped"}),
		table("data_keys", names{"tenant", "owner"}, nil, nil, names{"wrapped"}),
		table("customers", names{"tenant", "id"}, nil, nil, names{"reference", "resource"}),
		table("customer_users", names{"tenant", "customer_id", "provider", "user_id"}, nil, nil, nil),
		table("user_claims", names{"tenant", "customer_id", "provider", "owner"}, names{"lease_until"}, nil, nil),
		table("consents",
			names{
				"tenant", "id", "customer_id", "provider", "provider_ref", "user_id", "partner_bank", "market",
				"withdrawals", "claim_owner",
			},
			names{
				"valid_until", "flow", "status", "next_poll", "poll_step", "last_poll", "last_read", "missing_since",
				"missing_count", "claim_until", "claim_number", "deleted", "version",
			},
			names{"ended"},
			names{"state", "asked", "redirects", "reference", "resource"}),
		table("flow_claims", names{"tenant", "consent_id", "owner"}, names{"lease_until"}, nil, nil),
		table("provider_pauses", names{"tenant", "provider"}, names{"until"}, nil, nil),
		table("consent_log", names{"tenant", "consent_id", "owner"}, names{"position", "sequence", "type"},
			names{"settled"}, names{"event", "resource", "key"}),
		table("shipments", names{"tenant", "id", "customer_id", "provider"}, names{"status", "version"}, nil,
			names{"resource"}),
		table("shipment_log", names{"tenant", "shipment_id", "owner"}, names{"position"}, nil, names{"resource"}),
		table("log_marks", names{"log"}, names{"time", "position"}, nil, nil),
		table("log_floors", names{"log"}, names{"floor", "trimmed"}, nil, nil),
		table("callbacks", names{"kind", "tenant", "provider", "resource", "outcome"},
			names{"flow", "create_time", "expire_time", "visit_time"}, names{"settled"}, names{"hash"}),
		table("idempotency", names{"tenant", "method", "key", "owner", "customer_id", "consent_id"},
			names{"lease_until", "create_time"}, names{"done", "erased"}, names{"request", "response", "failure"}),
		table("intents",
			names{
				"tenant", "id", "provider", "operation", "resource", "customer_id", "idempotency_method",
				"idempotency_key", "state", "owner",
			}, names{"lease_until", "create_time", "update_time"}, nil, nil),
		table("webhooks", names{"tenant", "key", "provider"}, names{"update_time"}, names{"registered"}, nil),
		table("deletion_receipts", names{"tenant", "id"}, nil, nil, names{"resource"}),
		table("audit", names{"tenant", "actor", "method", "resource", "peer", "request_id", "outcome"},
			names{"position", "time", "count", "first_time", "sequence"}, nil, names{"chain"}),
		table("audit_seals", names{"tenant", "kind"}, seal, nil, names{"chain", "mac"}),
		table("audit_checkpoints", names{"tenant"}, seal, nil, names{"chain", "mac"}),
		table("audit_roll", names{"tenants"}, names{"id"}, nil, names{"mac"}),
		table("pulse", nil, names{"id", "probes", "time"}, nil, nil),
	}
}
