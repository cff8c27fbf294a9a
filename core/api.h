/* Symbol visibility: the library is built hidden, VSL_API marks what a program may call. */
#ifndef VSL_CORE_API_H
#define VSL_CORE_API_H

#if defined(__GNUC__)
#define VSL_API __attribute__((visibility("default")))
#define VSL_MUST_USE __attribute__((warn_unused_result))
#define VSL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VSL_API
#define VSL_MUST_USE
#define VSL_PRINTF(fmt, args)
#endif

#endif
