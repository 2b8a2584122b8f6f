package finoos

import (
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/providers"
)

// maxUserPage is the documented largest perPage.
const maxUserPage = 50

// CreateUser makes a user with the scopes of the products; each is billed, so finoOS's default, all scopes, is never
// asked for.
func (a *adapter) CreateUser(ctx context.Context, user providers.NewUser) (string, error) {
	body := wireNewUser{}
	switch user.Type {
	case customerv1.Customer_PERSON:
		body.Type = "person"
	case customerv1.Customer_COMPANY:
		body.Type = "company"
	default:
		return "", a.invalidField(opCreateUser, "customer.type")
	}
	for _, product := range user.Products {
		scope, ok := scopes[product]
		if !ok {
			return "", a.invalidField(opCreateUser, "customer.products")
		}
		if !slices.Contains(body.Scopes, scope) {
			body.Scopes = append(body.Scopes, scope)
		}
	}
	if len(body.Scopes) == 0 {
		body.Scopes = []string{scopes[customerv1.Product_BANKING]}
	}
	var created wireID
	if err := a.do(ctx, request{Operation: opCreateUser, Body: body}, &created); err != nil {
		return "", err
	}
	return string(created.ID), nil
}

// DeleteUser deletes a user with everything.
func (a *adapter) DeleteUser(ctx context.Context, id string) error {
	return providers.Ignore(a.do(ctx, request{Operation: opDeleteUser, Path: ofUser(id)}, nil), opDeleteUser,
		providers.KindNotFound)
}

// AddProduct adds the product's scope.
func (a *adapter) AddProduct(ctx context.Context, id string, product customerv1.Product_Value) error {
	scope, ok := scopes[product]
	if !ok {
		return a.invalidField(opAddScope, "customer.products")
	}
	// The user has the scope already, when the answer to an attempt before was lost.
	return providers.Ignore(a.do(ctx, request{Operation: opAddScope, Path: ofUser(id), Body: wireScope{Name: scope}},
		nil), opAddScope, providers.KindConflict)
}

// RemoveProduct removes the product's scope.
func (a *adapter) RemoveProduct(ctx context.Context, id string, product customerv1.Product_Value) error {
	scope, ok := scopes[product]
	if !ok {
		return a.invalidField(opRemoveScope, "customer.products")
	}
	return providers.Ignore(a.do(ctx,
		request{Operation: opRemoveScope, Path: map[string]string{paramUser: id, paramName: scope}}, nil),
		opRemoveScope, providers.KindNotFound)
}

// ListUsers lists a page of users, deleted ones among them.
func (a *adapter) ListUsers(ctx context.Context, page, size int) ([]providers.User, error) {
	if page < 0 || size < 1 || size > maxUserPage {
		return nil, a.failure(opListUsers, providers.KindInternal, errPage)
	}
	var listed wireUsers
	query := url.Values{"page": {strconv.Itoa(page)}, "perPage": {strconv.Itoa(size)}}
	if err := a.do(ctx, request{Operation: opListUsers, Query: query}, &listed); err != nil {
		return nil, err
	}
	return mapped(listed.Users.value, userOf), nil
}

// MaxUserPage is the largest size that ListUsers takes.
func (a *adapter) MaxUserPage() int { return maxUserPage }

type wireNewUser struct {
	Type   string   `json:"type"`
	Scopes []string `json:"scopes"`
}

type wireID struct {
	ID text `json:"id"`
}

func (w *wireID) check() error {
	if w.ID == "" {
		return missing("id")
	}
	return nil
}

type wireScope struct {
	Name string `json:"name"`
}

type wireUsers struct {
	Users required[[]wireUser] `json:"users"`
}

func (w *wireUsers) check() error { return w.Users.checkAs("users") }

type wireUser struct {
	ID        text       `json:"id"`
	Scopes    wireScopes `json:"scopes"`
	Deleted   bool       `json:"deleted"`
	CreatedAt text       `json:"createdAt"`
	DeletedAt text       `json:"deletedAt"`
}

// wireScopes is an array of strings as it is sent, and a string in the sample of the listing.
type wireScopes []text

// UnmarshalJSON reads an array, or a string in which commas or blanks separate the scopes.
func (s *wireScopes) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, (*[]text)(s))
	}
	var joined text
	if err := joined.UnmarshalJSON(data); err != nil {
		return err
	}
	*s = nil
	for _, scope := range splitScopes(string(joined)) {
		*s = append(*s, text(scope))
	}
	return nil
}

// scopes are finoOS's names of the products. They are not checked against any list: finoOS has scopes that its own enum
// lacks.
var scopes = map[customerv1.Product_Value]string{
	customerv1.Product_BANKING:                  "banking",
	customerv1.Product_IMPORT:                   "bankingExternal",
	customerv1.Product_PAYMENT_PARTNER_ANALYSIS: "paymentPartnerAnalysis",
	customerv1.Product_DOCUMENT_SHIPMENT:        "documentShipment",
	customerv1.Product_COMPANIES:                "companies",
	customerv1.Product_COMPANY_LOGOS:            "companiesLogo",
	customerv1.Product_CONTRACTS:                "contracts",
}

func splitScopes(joined string) []string {
	return strings.FieldsFunc(joined, func(r rune) bool { return r == ',' || r == ' ' })
}

func userOf(w wireUser) providers.User {
	user := providers.User{
		ID: string(w.ID), Deleted: w.Deleted, CreateTime: instantOf(w.CreatedAt), DeleteTime: instantOf(w.DeletedAt),
	}
	for _, scope := range w.Scopes {
		user.Scopes = append(user.Scopes, string(scope))
	}
	return user
}
