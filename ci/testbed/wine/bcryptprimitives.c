/* bcryptprimitives.dll for Wine before 9, which has none: random bytes from its RtlGenRandom.
   ProcessPrng: learn.microsoft.com, "ProcessPrng function". Only tests use this. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    return SystemFunction036(data, (ULONG)length);
}
