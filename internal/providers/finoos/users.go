package finoos

import (
	"context"
	"net/url"
	"slices"
	"strconv"

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
