// regex_shim.cc - RE2 behind C names; see regex.c for everything else.
// SPDX-License-Identifier: Apache-2.0
#include <re2/re2.h>

#include <cstddef>
#include <cstring>

extern "C" {
struct shim_group {
    const char *p;
    size_t n;
};
void *regex_shim_new(const char *p, size_t n, bool dot_nl, int *code, char *arg, size_t arg_room);
void regex_shim_free(void *re);
bool regex_shim_match(const void *re, const char *p, size_t n, size_t from, bool whole, shim_group *group,
                      int groups);
int regex_shim_groups(const void *re);
const char *regex_shim_group_name(const void *re, int i);
}

static const int64_t kMemMax = 16 << 20;

void *regex_shim_new(const char *p, size_t n, bool dot_nl, int *code, char *arg, size_t arg_room)
{
    RE2::Options options;

    options.set_log_errors(false);
    options.set_max_mem(kMemMax);
    options.set_dot_nl(dot_nl);
    RE2 *re = new RE2(re2::StringPiece(p, n), options);
    if (re->ok())
        return re;
    *code = static_cast<int>(re->error_code());
    size_t k = re->error_arg().size() < arg_room - 1 ? re->error_arg().size() : arg_room - 1;
    memcpy(arg, re->error_arg().data(), k);
    arg[k] = 0;
    delete re;
    return nullptr;
}

void regex_shim_free(void *re)
{
    delete static_cast<RE2 *>(re);
}

bool regex_shim_match(const void *re, const char *p, size_t n, size_t from, bool whole, shim_group *group,
                      int groups)
{
    enum { kMax = 64 };
    re2::StringPiece piece[kMax];

    groups = groups < kMax ? groups : kMax;
    if (!static_cast<const RE2 *>(re)->Match(re2::StringPiece(p ? p : "", n), from, n,
                                             whole ? RE2::ANCHOR_BOTH : RE2::UNANCHORED, piece, groups))
        return false;
    for (int i = 0; i < groups; i++)
        group[i] = {piece[i].data(), piece[i].size()};
    return true;
}

int regex_shim_groups(const void *re)
{
    return static_cast<const RE2 *>(re)->NumberOfCapturingGroups();
}

const char *regex_shim_group_name(const void *re, int i)
{
    const auto &names = static_cast<const RE2 *>(re)->CapturingGroupNames();
    auto at = names.find(i);

    return at == names.end() ? nullptr : at->second.c_str();
}
