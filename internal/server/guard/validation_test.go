package guard

import (
	"math"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	customerv1 "kontor.dev/kontor/gen/go/kontor/customer/v1"
	"kontor.dev/kontor/internal/api"
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

// Every list takes a page of any size from 0, of which services give no more than they can, and none below.
func TestPageSizes(t *testing.T) {
	lists := 0
	for _, s := range api.Services() {
		methods, err := s.Methods()
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range methods {
			size := method.Input().Fields().ByName("page_size")
			if size == nil {
				continue
			}
			lists++
			found, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
			if err != nil {
				t.Fatal(err)
			}
			v, err := newValidation([]proto.Message{found.New().Interface()})
			if err != nil {
				t.Fatal(err)
			}
			for asked, refused := range map[int32]bool{-1: true, 0: false, 1001: false, math.MaxInt32: false} {
				request := found.New()
				request.Set(size, protoreflect.ValueOfInt32(asked))
				refusal := slices.Contains(fieldsOf(v.check(request.Interface())), "pageSize")
				if refusal != refused {
					t.Errorf("%s: a page of %d is refused: %t", method.Name(), asked, refusal)
				}
			}
		}
	}
	if lists < 10 {
		t.Errorf("only %d lists were found", lists)
	}
}

// fieldsOf are the fields that an error names.
func fieldsOf(err error) (fields []string) {
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return fields
}
