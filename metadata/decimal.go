package metadata

import (
	"errors"
	"strconv"
	"strings"
)

// decimal writes a JSON number as plain decimal text without an exponent and without loss: 1e3 is 1000, -0.50 is
// -0.5, 1.0 is 1. The shortest form is the one that a number gives whichever way it went through a rule. Numbers too
// long for Seam are a problem before they are written out: 1e999999999 would take a gigabyte.
func decimal(number string) (text, problem string) {
	const notANumber = "the number is malformed"
	mantissa, exponent, hasExponent := strings.Cut(strings.ToLower(number), "e")
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return "", notANumber
	}
	shift := 0
	if hasExponent {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", notANumber
		} // beyond any int Atoi gives the nearest, which is far enough
	}
	return place(sign, whole+fraction, len(whole), shift)
}

// place sets the decimal point of digits, which stands behind the first point digits, by shift places to the right.
func place(sign, digits string, point, shift int) (text, problem string) {
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	digits = strings.TrimRight(trimmed, "0")
	if digits == "" {
		return "0", ""
	}
	const far = 2 * maxValueLength
	if shift > far || shift < -far || point > far || len(digits) > far {
		return "", "the number is too long to be written without an exponent"
	}
	point += shift
	switch {
	case point <= 0:
		return sign + "0." + strings.Repeat("0", -point) + digits, ""
	case point >= len(digits):
		return sign + digits + strings.Repeat("0", point-len(digits)), ""
	default:
		return sign + digits[:point] + "." + digits[point:], ""
	}
}
