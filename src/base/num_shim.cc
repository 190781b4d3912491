// num_shim.cc - the C++ library's exact number conversions behind C names. Nothing else is C++ but this and regex_shim.cc.
// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstddef>

extern "C" {
size_t num_shim_scan(const char *p, size_t n, bool hex, double *out, int *range);
size_t num_shim_format(double v, char form, char *out, size_t room);
}

// Longest float at p; *range: 0 fine, 1 too big, -1 too small. 0: no number.
size_t num_shim_scan(const char *p, size_t n, bool hex, double *out, int *range)
{
    auto r = std::from_chars(p, p + n, *out, hex ? std::chars_format::hex : std::chars_format::general);

    *range = 0;
    if (r.ec == std::errc::invalid_argument)
        return 0;
    if (r.ec == std::errc::result_out_of_range)
        *range = 1;
    return static_cast<size_t>(r.ptr - p);
}

size_t num_shim_format(double v, char form, char *out, size_t room)
{
    auto format = form == 'f' ? std::chars_format::fixed : std::chars_format::scientific;
    auto r = std::to_chars(out, out + room, v, format);

    return r.ec == std::errc() ? static_cast<size_t>(r.ptr - out) : 0;
}
