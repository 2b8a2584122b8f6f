package worldtest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
)

// Stubs call a gateway with one key or token.
type Stubs struct {
	Conn      *grpc.ClientConn
	Customers customerv1.CustomerServiceClient
	Consents  consentv1.ConsentServiceClient
	Banking   bankingv1.BankingServiceClient
	Insights  insightsv1.InsightsServiceClient
	Documents documentsv1.DocumentServiceClient
	Providers providerv1.ProviderServiceClient
}

// Dial makes stubs for a gateway's gRPC address; without authorization when that is empty.
func Dial(address, authorization string, more ...grpc.DialOption) (*Stubs, error) {
	conn, err := grpc.NewClient(address, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(authorization)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64 << 20)),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	return &Stubs{
		conn, customerv1.NewCustomerServiceClient(conn), consentv1.NewConsentServiceClient(conn),
		bankingv1.NewBankingServiceClient(conn), insightsv1.NewInsightsServiceClient(conn),
		documentsv1.NewDocumentServiceClient(conn), providerv1.NewProviderServiceClient(conn),
	}, nil
}

// Close ends the stubs.
func (s *Stubs) Close() { s.Conn.Close() }

// bearer is a key or token as gRPC credentials; empty for a caller without one.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// PSUIP is an end user's address. Some of finoOS's operations demand one.
const PSUIP = "203.0.113.7"

// AsPSU adds the end user's address to a call.
func AsPSU(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "psu-ip-address", PSUIP)
}
