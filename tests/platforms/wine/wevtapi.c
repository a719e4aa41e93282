/* A replacement of wevtapi.dll, of which Wine only has stubs. It serves the records of a file as the real one serves
 * those of the Security log, as documented by Microsoft. It only has the functions that the agent uses.
 *
 * FAKE_SECURITY_LOG names the file: records in XML, oldest first, with an empty line after each.
 * The records of other logs are in the same file. <Channel> says to which log a record belongs.
 * FAKE_SECURITY_REPEAT=N: the file has one record, which stands for N records, one per second. In it, @ID@ and @TIME@
 * stand for the id and the time. FAKE_SECURITY_NEWEST is the time of the last one, in seconds since 1970.
 * FAKE_SECURITY_FAULT makes it fail:
 *   error=N     the query fails with error N (0: without an error code)
 *   next=N      the second batch fails with error N
 *   large       after the first batch, only requests for a single record succeed
 *   once        the second request for several records fails, as if they were too large
 *   lost        a query cannot be moved
 *   astray      a query that is moved ends elsewhere
 *   render      every third record cannot be rendered
 *   slow        each batch exceeds the time limit
 * FAKE_SECURITY_CLOSED names a file that is written when the last open handle is closed. It gets the number of requests
 * for records, and how many records were searched for those that a query selects. */
#include <windows.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Smaller than any requested batch, which the API allows. */
#define BATCH 5
#define QUERY_CHANNEL_PATH 0x1
#define QUERY_REVERSE 0x200
#define RENDER_XML 1
#define SEEK_TO_BOOKMARK 4
#define ERROR_CHANNEL_NOT_FOUND 15007

typedef HANDLE EVT_HANDLE;

typedef struct {
    enum { QUERY, EVENT, BOOKMARK } kind;
    /* Query: the number of records that were returned or skipped. Event: its index. Bookmark: the id of its record. */
    size_t at;
    int batches;
    /* Query: the log, and the ids of the wanted events. */
    char channel[160];
    unsigned ids[20];
    int id_count;
} Object;

__declspec(dllexport) BOOL WINAPI EvtClose(EVT_HANDLE handle);

static char *text;
static char **records;
static size_t count;
static long open_handles;
static unsigned long repeat, requests, several, searched;

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
    if (getenv("FAKE_SECURITY_REPEAT"))
        count = repeat = strtoul(getenv("FAKE_SECURITY_REPEAT"), NULL, 10);
    records = calloc(size / 2 + 1, sizeof *records);
    for (char *record = text; *record && !repeat; record = next) {
        char *end = strstr(record, "\n\n");
        next = end ? end + 2 : record + strlen(record);
        if (end)
            *end = 0;
        if (*record)
            records[count++] = record;
    }
    return TRUE;
}

/* The text of a record. With FAKE_SECURITY_REPEAT, it is valid until the next call. */
static const char *record_at(size_t index)
{
    static char made[8192];
    char stamp[32];
    const char *newest = getenv("FAKE_SECURITY_NEWEST");
    __time64_t at = (newest ? strtoll(newest, NULL, 10) : 0) - (long long)(count - 1 - index);
    char *to = made;
    if (!repeat)
        return records[index];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", _gmtime64(&at));
    for (const char *from = text; *from && to < made + sizeof made - 32;) {
        if (!strncmp(from, "@ID@", 4)) {
            to += sprintf(to, "%lu", (unsigned long)index + 1);
            from += 4;
        } else if (!strncmp(from, "@TIME@", 6)) {
            to += sprintf(to, "%s", stamp);
            from += 6;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return made;
}

static unsigned long long id_at(size_t index)
{
    const char *id = repeat ? NULL : strstr(records[index], "<EventRecordID>");
    if (repeat)
        return index + 1;
    return id ? strtoull(id + strlen("<EventRecordID>"), NULL, 10) : 0;
}

static BOOL is_of(size_t index, const Object *query)
{
    const char *id;
    if (repeat)
        return TRUE;
    if (!strstr(records[index], query->channel))
        return FALSE;
    id = strstr(records[index], "<EventID>");
    for (int at = 0; at < query->id_count; at++)
        if (id && strtoul(id + strlen("<EventID>"), NULL, 10) == query->ids[at])
            return TRUE;
    return !query->id_count;
}

/* The number of records that a query selects, from the oldest on; -1 if the query is unknown. */
static long long selected(LPCWSTR query, Object *object)
{
    unsigned long long below;
    long long at = count;
    LPCWSTR bound = wcsstr(query, L"EventRecordID < ");
    for (LPCWSTR id = query; (id = wcsstr(id, L"EventID=")) && object->id_count < 20;)
        object->ids[object->id_count++] = wcstoul(id += 8, NULL, 10);
    if (!bound)
        return !wcscmp(query, L"*") || object->id_count ? at : -1;
    if (swscanf(bound, L"EventRecordID < %I64u", &below) != 1)
        return -1;
    for (; at > 0; at--, searched++) {
        unsigned long long id = id_at(at - 1);
        if (is_of(at - 1, object) && id && id < below)
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
    BOOL is_there;
    size_t at;
    Object *made;
    long long number;
    if (fault("error", &error)) {
        SetLastError(error);
        return NULL;
    }
    if (session || !query || flags != (QUERY_CHANNEL_PATH | QUERY_REVERSE)) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return NULL;
    }
    if (!path || wcslen(path) > 128 || (!records && !load())) {
        SetLastError(ERROR_CHANNEL_NOT_FOUND);
        return NULL;
    }
    made = object(QUERY, 0);
    snprintf(made->channel, sizeof made->channel, "<Channel>%ls</Channel>", path);
    for (is_there = !wcscmp(path, L"Security"), at = 0; at < count && !is_there; at++)
        is_there = is_of(at, made);
    number = selected(query, made);
    if (number < 0 || !is_there) {
        EvtClose(made);
        SetLastError(is_there ? ERROR_EVT_INVALID_QUERY : ERROR_CHANNEL_NOT_FOUND);
        return NULL;
    }
    made->at = count - number;
    return made;
}

__declspec(dllexport) BOOL WINAPI EvtNext(
    EVT_HANDLE handle, DWORD size, EVT_HANDLE *events, DWORD timeout, DWORD flags, DWORD *returned)
{
    Object *query = handle;
    int error;
    if (!query || query->kind != QUERY || !size || !events || flags || !returned)
        return fail(ERROR_INVALID_PARAMETER);
    *returned = 0;
    requests++;
    if (size > 1 && ++several == 2 && fault("once", &error))
        return fail(RPC_S_INVALID_BOUND);
    if (fault("slow", &error)) {
        Sleep(timeout);
        return fail(ERROR_TIMEOUT);
    }
    if (query->batches++ && fault("next", &error))
        return fail(error);
    if (query->batches > 1 && size > 1 && fault("large", &error))
        return fail(RPC_S_INVALID_BOUND);
    /* Newest first. */
    for (; *returned < size && *returned < BATCH && query->at < count; query->at++)
        if (is_of(count - 1 - query->at, query))
            events[(*returned)++] = object(EVENT, count - 1 - query->at);
    return *returned ? TRUE : fail(ERROR_NO_MORE_ITEMS);
}

__declspec(dllexport) EVT_HANDLE WINAPI EvtCreateBookmark(LPCWSTR xml)
{
    unsigned long long id;
    LPCWSTR number = xml ? wcsstr(xml, L"' RecordId='") : NULL;
    if (!number || wcsncmp(xml, L"<BookmarkList><Bookmark Channel='", 33)
        || swscanf(number, L"' RecordId='%I64u' IsCurrent='true'/></BookmarkList>", &id) != 1) {
        SetLastError(ERROR_EVT_INVALID_QUERY);
        return NULL;
    }
    return object(BOOKMARK, id);
}

/* Without the flag for strictness, it moves to the next record if that of the bookmark does not exist. */
__declspec(dllexport) BOOL WINAPI EvtSeek(
    EVT_HANDLE handle, LONGLONG position, EVT_HANDLE mark, DWORD timeout, DWORD flags)
{
    Object *query = handle, *bookmark = mark;
    size_t at = 0, end;
    int error;
    if (!query || query->kind != QUERY || !bookmark || bookmark->kind != BOOKMARK || position || timeout
        || flags != SEEK_TO_BOOKMARK)
        return fail(ERROR_INVALID_PARAMETER);
    if (fault("lost", &error))
        return fail(ERROR_NOT_FOUND);
    /* A binary search, newest first, if there is only one log. */
    for (end = repeat ? count : 0; at < end;) {
        size_t middle = at + (end - at) / 2;
        if (id_at(count - 1 - middle) > bookmark->at)
            at = middle + 1;
        else
            end = middle;
    }
    while (!repeat && at < count && (!is_of(count - 1 - at, query) || id_at(count - 1 - at) > bookmark->at))
        at++;
    query->at = fault("astray", &error) ? at + 2 : at;
    return TRUE;
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
    units = MultiByteToWideChar(CP_UTF8, 0, record_at(event->at), -1, NULL, 0);
    *used = units * sizeof(WCHAR);
    *properties = 0;
    if (size < *used)
        return fail(ERROR_INSUFFICIENT_BUFFER);
    MultiByteToWideChar(CP_UTF8, 0, record_at(event->at), -1, buffer, units);
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
        if (file) {
            fprintf(file, "%lu %lu", requests, searched);
            fclose(file);
        }
    }
    return TRUE;
}
