// Package banking serves bank data: connections, accounts, transactions, standing orders and securities, and
// takes data that callers bring along.
package banking

import (
	"time"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	"kontor.dev/kontor/internal/audit"
	"kontor.dev/kontor/internal/bankdata"
	"kontor.dev/kontor/internal/callbacks"
	"kontor.dev/kontor/internal/coalesce"
	"kontor.dev/kontor/internal/follow"
	"kontor.dev/kontor/internal/history"
	"kontor.dev/kontor/internal/once"
	"kontor.dev/kontor/internal/service"
	"kontor.dev/kontor/internal/service/customers"
)

// Server implements bankingv1.BankingServiceServer.
type Server struct {
	bankingv1.UnimplementedBankingServiceServer

	Store     *service.Store
	Tenants   service.Tenants
	Clock     service.Clock
	Tokens    service.Tokens
	Load      *service.Loader
	Audit     *audit.Trail
	History   *history.Writer
	Follower  *follow.Follower
	Once      *once.Runner
	Sessions  *callbacks.Sessions
	Customers *customers.Registry
	Reads     *bankdata.Reader
	// Heartbeat is the longest silence of a stream.
	Heartbeat time.Duration

	syncs coalesce.Recent[synced]
}
