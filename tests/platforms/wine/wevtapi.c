/* A replacement of wevtapi.dll, of which Wine only has stubs. It serves the records of a file as the real one serves
 * those of the Security log, as documented by Microsoft. It only has the functions that the agent uses.
 *
 * FAKE_SECURITY_LOG names the file: records in XML, oldest first, with an empty line after each.
 * FAKE_SECURITY_FAULT makes it fail:
 *   error=N     the query fails with error N (0: without an error code)
 *   next=N      the second batch fails with error N
 *   large       after the first batch, only requests for a single record succeed
 *   render      every third record cannot be rendered
 *   slow        each batch exceeds the time limit
 * FAKE_SECURITY_CLOSED names a file that is written when the last open handle is closed. */
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Smaller than any requested batch, which the API allows. */
#define BATCH 5
#define QUERY_CHANNEL_PATH 0x1
#define QUERY_REVERSE 0x200
#define RENDER_XML 1
#define ERROR_CHANNEL_NOT_FOUND 15007

typedef HANDLE EVT_HANDLE;

typedef struct {
    enum { QUERY, EVENT } kind;
    /* Query: the number of records that were returned or skipped. Event: its index. */
    size_t at;
    int batches;
} Object;

static char *text;
static char **records;
static size_t count;
static long open_handles;

static int fault(const char *name, int *number)
{
    const char *value = getenv("FAKE_SECURITY_FAULT");
    size_t length = strlen(name);
    if (!value || strncmp(value, name, length))
        return 0;
    *number = value[length] == '=' ? atoi(value + length + 1) : 0;
    return 1;
}

static BOOL fail(DWORD error)
{
    SetLastError(error);
    return FALSE;
}

/* Reads the file and splits it into records. */
static BOOL load(void)
{
    const char *path = getenv("FAKE_SECURITY_LOG");
    FILE *file = path ? fopen(path, "rb") : NULL;
    long size;
    char *next;
    if (!file)
        return FALSE;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    text = calloc(1, size + 1);
    size = (long)fread(text, 1, size, file);
    fclose(file);
    records = calloc(size / 2 + 1, sizeof *records);
    for (char *record = text; *record; record = next) {
        char *end = strstr(record, "\n\n");
        next = end ? end + 2 : record + strlen(record);
        if (end)
            *end = 0;
        if (*record)
            records[count++] = record;
    }
    return TRUE;
}

/* The number of records that a query selects, from the oldest on; -1 if the query is unknown. */
static long long selected(LPCWSTR query)
{
    unsigned long long below;
    long long at = count;
    if (!wcscmp(query, L"*"))
        return at;
    if (swscanf(query, L"*[System[EventRecordID < %I64u]]", &below) != 1)
        return -1;
    for (; at > 0; at--) {
        const char *id = strstr(records[at - 1], "<EventRecordID>");
        if (id && strtoull(id + strlen("<EventRecordID>"), NULL, 10) < below)
            break;
    }
    return at;
}

static Object *object(int kind, size_t at)
{
    Object *made = calloc(1, sizeof *made);
    made->kind = kind;
    made->at = at;
    InterlockedIncrement(&open_handles);
    return made;
}

__declspec(dllexport) EVT_HANDLE WINAPI EvtQuery(EVT_HANDLE session, LPCWSTR path, LPCWSTR query, DWORD flags)
{
    int error;
    long long number;
    if (fault("error", &error)) {
        SetLastError(error);
        return NULL;
    }
    if (session || !query || flags != (QUERY_CHANNEL_PATH | QUERY_REVERSE)) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return NULL;
    }
    if (!path || wcscmp(path, L"Security") || (!records && !load())) {
        SetLastError(ERROR_CHANNEL_NOT_FOUND);
        return NULL;
    }
    number = selected(query);
    if (number < 0) {
        SetLastError(ERROR_EVT_INVALID_QUERY);
        return NULL;
    }
    return object(QUERY, count - number);
}

__declspec(dllexport) BOOL WINAPI EvtNext(
    EVT_HANDLE handle, DWORD size, EVT_HANDLE *events, DWORD timeout, DWORD flags, DWORD *returned)
{
    Object *query = handle;
    int error;
    if (!query || query->kind != QUERY || !size || !events || flags || !returned)
        return fail(ERROR_INVALID_PARAMETER);
    *returned = 0;
    if (fault("slow", &error)) {
        Sleep(timeout);
        return fail(ERROR_TIMEOUT);
    }
    if (query->batches++ && fault("next", &error))
        return fail(error);
    if (query->batches > 1 && size > 1 && fault("large", &error))
        return fail(RPC_S_INVALID_BOUND);
    while (*returned < size && *returned < BATCH && query->at < count)
        /* Newest first. */
        events[(*returned)++] = object(EVENT, count - 1 - query->at++);
    return *returned ? TRUE : fail(ERROR_NO_MORE_ITEMS);
}

__declspec(dllexport) BOOL WINAPI EvtRender(
    EVT_HANDLE context, EVT_HANDLE handle, DWORD flags, DWORD size, PVOID buffer, DWORD *used, DWORD *properties)
{
    Object *event = handle;
    int error;
    DWORD units;
    if (context || !event || event->kind != EVENT || flags != RENDER_XML || !used || !properties)
        return fail(ERROR_INVALID_PARAMETER);
    if (event->at % 3 == 0 && fault("render", &error))
        return fail(ERROR_EVT_INVALID_EVENT_DATA);
    /* In bytes, with the terminator. */
    units = MultiByteToWideChar(CP_UTF8, 0, records[event->at], -1, NULL, 0);
    *used = units * sizeof(WCHAR);
    *properties = 0;
    if (size < *used)
        return fail(ERROR_INSUFFICIENT_BUFFER);
    MultiByteToWideChar(CP_UTF8, 0, records[event->at], -1, buffer, units);
    return TRUE;
}

__declspec(dllexport) BOOL WINAPI EvtClose(EVT_HANDLE handle)
{
    const char *path = getenv("FAKE_SECURITY_CLOSED");
    if (!handle)
        return fail(ERROR_INVALID_HANDLE);
    free(handle);
    if (!InterlockedDecrement(&open_handles) && path) {
        FILE *file = fopen(path, "wb");
        if (file)
            fclose(file);
    }
    return TRUE;
}
