package guard

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
)

// An error names some of the values that break a rule, however many there are: it has to fit into a header.
func TestViolationsAreBounded(t *testing.T) {
	v, err := newValidation([]proto.Message{&customerv1.CreateCustomerRequest{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, elements := range []int{1, maxViolations, 1000, 1_000_000} {
		request := &customerv1.CreateCustomerRequest{Customer: &customerv1.Customer{
			Type: customerv1.Customer_PERSON, Products: make([]customerv1.Product_Value, elements),
		}}
		failure := v.check(request)
		told := 0
		for _, detail := range status.Convert(failure).Details() {
			if bad, ok := detail.(*errdetails.BadRequest); ok {
				told += len(bad.GetFieldViolations())
			}
		}
		if failure == nil || told == 0 || told > maxViolations {
			t.Errorf("%d values that break a rule: %d are told, %v", elements, told, failure != nil)
		}
	}
}
