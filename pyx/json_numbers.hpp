// Numbers as JSON, each with the fewest digits that read back to the same double.
#pragma once

#include <charconv>
#include <cstdio>
#include <cstring>

namespace beadwise {

constexpr int LONGEST_NUMBER = 32;  // characters: sign, 17 digits, point, exponent, and what stands between numbers

inline char *write_number(char *at, double number) {
#if defined(__cpp_lib_to_chars)
    char *end = std::to_chars(at, at + LONGEST_NUMBER, number).ptr;
#else  // older libraries: more digits than needed, but the same number
    char *end = at + std::snprintf(at, LONGEST_NUMBER, "%.17g", number);
#endif
    // a number without point or exponent would be read as an integer, which has no negative zero
    if (!std::memchr(at, '.', end - at) && !std::memchr(at, 'e', end - at)) {
        *end++ = '.';
        *end++ = '0';
    }
    return end;
}

inline char *write_row(char *at, const double *numbers, long count) {
    *at++ = '[';
    for (long index = 0; index < count; ++index) {
        if (index) *at++ = ',';
        at = write_number(at, numbers[index]);
    }
    *at++ = ']';
    return at;
}

// Rows of numbers; the caller provides LONGEST_NUMBER characters for each number, and 3 for each row.
inline char *write_rows(char *at, const double *numbers, long rows, long columns) {
    *at++ = '[';
    for (long row = 0; row < rows; ++row) {
        if (row) *at++ = ',';
        at = write_row(at, numbers + row * columns, columns);
    }
    *at++ = ']';
    return at;
}

}  // namespace beadwise
