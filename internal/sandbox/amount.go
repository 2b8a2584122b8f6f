package sandbox

import (
	"fmt"
	"math/big"
)

// Minor is an amount in hundredths of its currency's unit.
type Minor int64

// String writes the amount as a decimal with two places, as in "-24.99".
func (m Minor) String() string {
	sign, n := "", int64(m)
	if n < 0 {
		sign, n = "-", -n
	}
	return fmt.Sprintf("%s%d.%02d", sign, n/100, n%100)
}

// MustMinor reads an amount of the population, in any notation that a JSON number may have ("0.1", "1e3"). It panics
// on anything else and on more than two decimal places, neither of which the population holds.
func MustMinor(amount string) Minor {
	value, ok := new(big.Rat).SetString(amount)
	if !ok {
		panic("sandbox: not a decimal amount")
	}
	value.Mul(value, big.NewRat(100, 1))
	if !value.IsInt() || !value.Num().IsInt64() {
		panic("sandbox: an amount with more than two decimal places, or too large")
	}
	return Minor(value.Num().Int64())
}
