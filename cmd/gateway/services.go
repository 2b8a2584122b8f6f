package main

import (
	"google.golang.org/grpc"

	bankingv1 "kontor.dev/kontor/gen/go/kontor/banking/v1"
	consentv1 "kontor.dev/kontor/gen/go/kontor/consent/v1"
	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	documentsv1 "kontor.dev/kontor/gen/go/kontor/documents/v1"
	insightsv1 "kontor.dev/kontor/gen/go/kontor/insights/v1"
	providerv1 "kontor.dev/kontor/gen/go/kontor/provider/v1"
	"kontor.dev/kontor/internal/service"
)

// implementations registers what answers each service of package api. The server does not start without one of them.
func implementations(s service.Servers) func(grpc.ServiceRegistrar) {
	return func(to grpc.ServiceRegistrar) {
		customerv1.RegisterCustomerServiceServer(to, s.Customer)
		consentv1.RegisterConsentServiceServer(to, s.Consent)
		bankingv1.RegisterBankingServiceServer(to, s.Banking)
		insightsv1.RegisterInsightsServiceServer(to, s.Insights)
		documentsv1.RegisterDocumentServiceServer(to, s.Documents)
		providerv1.RegisterProviderServiceServer(to, s.Provider)
	}
}
