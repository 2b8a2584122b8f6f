package finoos

import (
	"context"
	"iter"

	"kontor.dev/kontor/internal/jsonread"
	"kontor.dev/kontor/internal/optional"
	"kontor.dev/kontor/internal/providers"
)

// Transactions reads all transactions, one by one as they arrive, so that they are never all in memory.
//
// finoOS sends them nested in accounts, and accounts in bank logins. In its own samples a login's id comes after the
// login's accounts, and nothing says that an account's id comes before its transactions. So the ids are read first, by
// a request without transactions, and tell which account a transaction is on when the body has not told it yet. What
// the body tells later is compared: a difference ends the sequence with an error, so nothing passes under a wrong
// account unnoticed. Where both know too little, the transactions of one account, or at worst of one login, wait until
// their ids come.
//
// finoOS cannot narrow the read.
func (a *adapter) Transactions(
	ctx context.Context, ref providers.ConsentRef, _ providers.Query,
) iter.Seq2[providers.Transaction, error] {
	return func(yield func(providers.Transaction, error) bool) {
		logins, err := a.allLogins(ctx, ref)
		if err != nil {
			yield(providers.Transaction{}, err)
			return
		}
		if len(logins) == 0 {
			return
		}
		stopped := false
		response, err := a.client.Stream(ctx, loginsRequest(ref, true), func(d *decoder) error {
			reader := transactionReader{known: outlineOf(logins), imported: ref.Imported,
				yield: func(t providers.Transaction) error {
					if !ref.Share.Covers(loginOf(t.AccountID)) {
						return nil
					}
					if stopped = !yield(t, nil); stopped {
						return errStopped
					}
					return nil
				}}
			if err := reader.read(d); !stopped {
				return err
			}
			return nil // the rest of the body is not wanted
		})
		if err == nil && response.Empty {
			err = a.client.Refuse(ctx, opGetLogins, response, missing("logins"))
		}
		if err != nil && !stopped {
			yield(providers.Transaction{}, err)
		}
	}
}

// place is the account that a transaction is on.
type place struct {
	login, account, currency text
}

// outline is what is known of the places before the body with the transactions arrives.
type outline struct {
	byPosition [][]place
	byAccount  map[text][]place
}

func outlineOf(logins []wireLogin) outline {
	known := outline{byAccount: map[text][]place{}}
	for _, login := range logins {
		var places []place
		for _, account := range login.Accounts {
			p := place{login: login.ID, account: account.ID, currency: account.Currency}
			places = append(places, p)
			known.byAccount[account.ID] = append(known.byAccount[account.ID], p)
		}
		known.byPosition = append(known.byPosition, places)
	}
	return known
}

// complete fills in what the body has not told of a place yet. ok is false when it cannot be told.
func (o outline) complete(told place, login, account int) (completed place, ok bool) {
	agrees := func(p place) bool {
		return (told.login == "" || told.login == p.login) && (told.account == "" || told.account == p.account)
	}
	if login < len(o.byPosition) && account < len(o.byPosition[login]) && agrees(o.byPosition[login][account]) {
		completed, ok = o.byPosition[login][account], true
	} else if told.account != "" { // the order has changed
		for _, p := range o.byAccount[told.account] {
			if agrees(p) {
				if ok {
					return place{}, false // an account with this id is at several banks
				}
				completed, ok = p, true
			}
		}
	}
	if told.login != "" && told.account != "" { // nothing to guess but the currency
		completed.login, completed.account, ok = told.login, told.account, true
	}
	if told.currency != "" {
		completed.currency = told.currency
	}
	return completed, ok
}

// transactionReader reads one body.
type transactionReader struct {
	known outline
	// imported says that the ids are the caller's.
	imported bool
	yield    func(providers.Transaction) error
	found    bool // the list of logins
	dates    dates
}

// loginReader reads one bank login.
type loginReader struct {
	body     *transactionReader
	position int
	id       text // as the body tells it, "" before
	guessed  text // as transactions passed under it, "" when none did
	waiting  []*accountReader
}

// accountReader reads one account.
type accountReader struct {
	login    *loginReader
	position int
	told     place // as the body tells it, without the login
	guessed  text  // as transactions passed under it, "" when none did
	ids      identities
	waiting  []*wireTransaction
}

var (
	bodyMembers = jsonread.Members[transactionReader]{
		jsonread.At("logins", func(d *decoder, r *transactionReader) error {
			r.found = true
			return jsonread.List(d, func(position int) error {
				login := loginReader{body: r, position: position}
				return login.read(d)
			})
		}),
	}
	loginMembers = jsonread.Members[loginReader]{
		jsonread.At("id", func(d *decoder, l *loginReader) error { return jsonread.Value(d, &l.id) }),
		jsonread.At("accounts", func(d *decoder, l *loginReader) error {
			return jsonread.List(d, func(position int) error {
				account := accountReader{login: l, position: position, ids: identities{}}
				return account.read(d)
			})
		}),
	}
	accountMembers = jsonread.Members[accountReader]{
		jsonread.At("id", func(d *decoder, a *accountReader) error { return jsonread.Value(d, &a.told.account) }),
		jsonread.At("currency", func(d *decoder, a *accountReader) error {
			return jsonread.Value(d, &a.told.currency)
		}),
		jsonread.At("transactions", func(d *decoder, a *accountReader) error {
			return jsonread.List(d, func(int) error {
				wire := &wireTransaction{}
				if err := jsonread.Whole(d, wire, readTransaction); err != nil {
					return err
				}
				return a.pass(wire)
			})
		}),
	}
)

func (r *transactionReader) read(d *decoder) error {
	if err := bodyMembers.Read(d, r); err != nil {
		return err
	}
	if !r.found {
		return missing("logins")
	}
	return nil
}

func (l *loginReader) read(d *decoder) error {
	if err := loginMembers.Read(d, l); err != nil {
		return err
	}
	if l.id == "" {
		return errLogins
	}
	if l.guessed != "" && l.guessed != l.id {
		return errMoved
	}
	for _, account := range l.waiting {
		if err := account.release(); err != nil {
			return err
		}
	}
	return nil
}

func (a *accountReader) read(d *decoder) error {
	if err := accountMembers.Read(d, a); err != nil {
		return err
	}
	if a.told.account == "" {
		return errAccounts
	}
	if a.guessed != "" && a.guessed != a.told.account {
		return errMoved
	}
	return a.release()
}

// pass passes a transaction on, or has it wait for the ids that come later in the body.
func (a *accountReader) pass(wire *wireTransaction) error {
	if wire.Amount == nil {
		return missing("logins.accounts.transactions.amount")
	}
	told := a.told
	told.login = a.login.id
	at, ok := a.login.body.known.complete(told, a.login.position, a.position)
	if !ok {
		a.waiting = append(a.waiting, wire)
		return nil
	}
	if a.login.guessed != "" && a.login.guessed != at.login || a.guessed != "" && a.guessed != at.account {
		return errMoved
	}
	a.login.guessed, a.guessed = at.login, at.account
	transaction := transactionOf(wire, at.currency, &a.login.body.dates)
	if a.login.body.imported {
		transaction.ImportId = optional.Of(string(wire.ID))
	}
	return a.login.body.yield(providers.Transaction{
		ID:          a.ids.ofTransaction(wire.ID, transaction),
		AccountID:   accountKey(at.login, at.account),
		Transaction: transaction,
	})
}

// release passes on what waits. What must wait on goes to the login's end, where its id is known.
func (a *accountReader) release() error {
	waiting := a.waiting
	a.waiting = nil
	for _, wire := range waiting {
		if err := a.pass(wire); err != nil {
			return err
		}
	}
	if len(a.waiting) > 0 {
		a.login.waiting = append(a.login.waiting, a)
	}
	return nil
}
