/* Opens the module of the learned verbs: beside the command (a build tree) or where the installation put it, and
 * nowhere else: no environment variable or search path can put another file in its place. */
#define _GNU_SOURCE
#include "cli/learn.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/flags.h"
#include "io/config.h"
#include "io/weights_io.h"

static int folder_of_command(CliPath *out)
{
    const ssize_t length = readlink("/proc/self/exe", out->text, sizeof out->text - 1);
    if (length <= 0) {
        return 0;
    }
    out->text[length] = '\0';
    char *slash = strrchr(out->text, '/');
    if (slash) {
        slash[1] = '\0';
    }
    return slash != NULL;
}

/* LibTorch's threads wait for each other in loops that burn their core for milliseconds before they sleep. Beside any
 * other program that takes the core from the very thread which is waited for, and training runs at a tenth of its
 * speed. Some forty microseconds bridge the gaps between operations as well. Read when libgomp is loaded, hence here.
 */
static void wait_briefly(void)
{
    if (!getenv("OMP_WAIT_POLICY")) {
        setenv("GOMP_SPINCOUNT", "2000", 0);
    }
}

/* A step of training frees and asks again for the same hundreds of blocks of some megabytes. Handed back to the system
 * each time, as the main program has it for images, they come back as pages to fault in: a third of a step.
 */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the largest that glibc takes */
    mallopt(M_TRIM_THRESHOLD, 2147483647);
    mallopt(M_TOP_PAD, 64 << 20);
    mallopt(M_ARENA_MAX, 1);
}

static VslStatus check_model(const char *folder)
{
    CliPath path;
    if (cli_weights_path(&path, folder) != VSL_OK) {
        return VSL_OK;
    }
    const VslStatus found = vsl_weights_check(path.text);
    return found == VSL_E_FORMAT || found == VSL_E_UNSUPPORTED ? found : VSL_OK;
}

/* A model that is none, or is code, is refused at once, typed or named in --config: before LibTorch is opened. What
 * else is wrong the verb tells.
 */
static VslStatus check_models(int argc, char **argv)
{
    static const char *const flags[] = {"model", "init", "teacher"};
    VslStatus st = VSL_OK;
    VslConfig config = {0};
    const char *file = cli_typed("config", argc, argv);
    const int has_config = file && vsl_config_read(&config, file) == VSL_OK;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        const char *folder = cli_typed(flags[i], argc, argv);
        if (!folder && has_config) {
            folder = vsl_config_find(&config, flags[i]);
        }
        if (strcmp(flags[i], "teacher") != 0) {
            VSL_TRY(folder ? check_model(folder) : VSL_OK);
            continue;
        }
        CliPath one;
        while (folder && cli_next_name(&one, &folder, "--teacher") == VSL_OK) {
            VSL_TRY(check_model(one.text));
        }
    }
out:
    vsl_config_free(&config);
    return st;
}

int cli_learn(int argc, char **argv)
{
    const VslStatus st = check_models(argc, argv);
    if (st != VSL_OK) {
        fprintf(stderr, "vesal %s %s: %s\n", argv[1], argv[2], vsl_error());
        return (int)cli_exit_code(st);
    }
    const char *const places[] = {"libvesal_learn.so", cli_learn_path()};
    CliPath folder, path;
    void *module = NULL;
    CliLearnMain *run = NULL;
    const char *why = "it is not there";
    if (!folder_of_command(&folder)) {
        fprintf(stderr, "vesal %s: cannot tell where this command lies, and so not where its module is\n", argv[1]);
        return CLI_EXIT_INTERNAL;
    }
    for (size_t i = 0; !module && i < sizeof places / sizeof *places; i++) {
        if (cli_path_join(&path, folder.text, places[i]) == VSL_OK && access(path.text, F_OK) == 0) {
            wait_briefly();
            keep_freed_memory();
            module = dlopen(path.text, RTLD_NOW | RTLD_LOCAL);
            why = module ? why : dlerror();
            break;
        }
    }
    if (module) {
        void *symbol = dlsym(module, CLI_LEARN_SYMBOL);
        memcpy(&run, &symbol, sizeof run); /* ISO C has no cast from object to function */
        why = "it is the module of another version";
    }
    if (!run) {
        fprintf(stderr, "vesal %s: the module of the learned commands, %s, cannot be opened: %s\n", argv[1], path.text,
                why);
        return CLI_EXIT_INTERNAL;
    }
    return run(argc, argv); /* never closed: LibTorch's threads may still stand in it at the end */
}
