/* The function of bcryptprimitives.dll that Rust's standard library needs and Wine 8 lacks. It takes random bytes from
 * a function of advapi32.dll that Wine has. Only for tests. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG bytes);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T bytes)
{
    return SystemFunction036(buffer, (ULONG)bytes);
}
