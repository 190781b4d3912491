// blackbox_dns.c - names of DNS types, classes and answer codes (IANA's registry).
// SPDX-License-Identifier: Apache-2.0
#include "config/blackbox.h"

static const struct code {
    uint16_t number;
    const char *name;
} types[] = {
    { 1, "A" },       { 2, "NS" },      { 5, "CNAME" },  { 6, "SOA" },         { 12, "PTR" },
    { 13, "HINFO" },  { 15, "MX" },     { 16, "TXT" },   { 17, "RP" },         { 18, "AFSDB" },
    { 24, "SIG" },    { 25, "KEY" },    { 28, "AAAA" },  { 29, "LOC" },        { 33, "SRV" },
    { 35, "NAPTR" },  { 36, "KX" },     { 37, "CERT" },  { 39, "DNAME" },      { 41, "OPT" },
    { 42, "APL" },    { 43, "DS" },     { 44, "SSHFP" }, { 46, "RRSIG" },      { 47, "NSEC" },
    { 48, "DNSKEY" }, { 49, "DHCID" },  { 50, "NSEC3" }, { 51, "NSEC3PARAM" }, { 52, "TLSA" },
    { 53, "SMIMEA" }, { 55, "HIP" },    { 59, "CDS" },   { 60, "CDNSKEY" },    { 61, "OPENPGPKEY" },
    { 62, "CSYNC" },  { 63, "ZONEMD" }, { 64, "SVCB" },  { 65, "HTTPS" },      { 99, "SPF" },
    { 108, "EUI48" }, { 109, "EUI64" }, { 249, "TKEY" }, { 250, "TSIG" },      { 251, "IXFR" },
    { 252, "AXFR" },  { 255, "ANY" },   { 256, "URI" },  { 257, "CAA" },
};
static const struct code classes[] = { { 1, "IN" }, { 2, "CS" },     { 3, "CH" },
                                       { 4, "HS" }, { 254, "NONE" }, { 255, "ANY" } };
static const struct code rcodes[] = {
    { 0, "NOERROR" }, { 1, "FORMERR" },   { 2, "SERVFAIL" },   { 3, "NXDOMAIN" },
    { 4, "NOTIMP" },  { 5, "REFUSED" },   { 6, "YXDOMAIN" },   { 7, "YXRRSET" },
    { 8, "NXRRSET" }, { 9, "NOTAUTH" },   { 10, "NOTZONE" },   { 16, "BADSIG" },
    { 17, "BADKEY" }, { 18, "BADTIME" },  { 19, "BADMODE" },   { 20, "BADNAME" },
    { 21, "BADALG" }, { 22, "BADTRUNC" }, { 23, "BADCOOKIE" },
};

static bool find(const struct code *t, size_t n, struct str name, uint16_t *out)
{
    for (size_t i = 0; i < n; i++) {
        if (!str_eq_c(name, t[i].name))
            continue;
        *out = t[i].number;
        return true;
    }
    return false;
}

static const char *name_of(const struct code *t, size_t n, int number)
{
    for (size_t i = 0; i < n; i++)
        if (t[i].number == number)
            return t[i].name;
    return NULL;
}

bool blackbox_dns_type(struct str name, uint16_t *out)
{
    return find(types, ARRAY_LEN(types), name, out);
}

bool blackbox_dns_class(struct str name, uint16_t *out)
{
    return find(classes, ARRAY_LEN(classes), name, out);
}

bool blackbox_dns_rcode(struct str name, int *out)
{
    uint16_t n;

    if (!find(rcodes, ARRAY_LEN(rcodes), name, &n))
        return false;
    *out = n;
    return true;
}

const char *blackbox_dns_type_name(uint16_t type)
{
    return name_of(types, ARRAY_LEN(types), type);
}

const char *blackbox_dns_rcode_name(int rcode)
{
    return name_of(rcodes, ARRAY_LEN(rcodes), rcode);
}
