// postgres_libpq.c - loads libpq on first use: the program starts without it.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include "export/postgres_priv.h"

bool pg_api_open(struct pg_api *api, struct err *e)
{
    struct pg_api a = { .handle = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL) };
    struct {
        const char *name;
        void *to;
    } functions[] = {
        { "PQconnectStart", &a.connect_start },
        { "PQconnectPoll", &a.connect_poll },
        { "PQstatus", &a.status },
        { "PQsocket", &a.socket },
        { "PQerrorMessage", &a.error_message },
        { "PQserverVersion", &a.server_version },
        { "PQhost", &a.host },
        { "PQport", &a.port },
        { "PQparameterStatus", &a.parameter },
        { "PQfinish", &a.finish },
        { "PQsendQuery", &a.send_query },
        { "PQconsumeInput", &a.consume },
        { "PQisBusy", &a.is_busy },
        { "PQgetResult", &a.get_result },
        { "PQresultStatus", &a.result_status },
        { "PQresultErrorMessage", &a.result_error },
        { "PQntuples", &a.rows },
        { "PQnfields", &a.columns },
        { "PQfname", &a.column_name },
        { "PQgetvalue", &a.value },
        { "PQgetisnull", &a.is_null },
        { "PQclear", &a.clear },
        { "PQsetNoticeProcessor", &a.notice },
    };

    if (!a.handle)
        return err_set(e, ERR_UNSUPPORTED, "libpq is not installed: apt-get install libpq5");
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        void *f = dlsym(a.handle, functions[i].name);
        if (!f) {
            dlclose(a.handle);
            return err_set(e, ERR_UNSUPPORTED, "libpq has no %s", functions[i].name);
        }
        memcpy(functions[i].to, &f, sizeof f); // as POSIX wants pointers to functions to be had
    }
    *api = a;
    return true;
}

void pg_api_close(struct pg_api *api)
{
    if (api->handle)
        dlclose(api->handle);
    *api = (struct pg_api){ 0 };
}
