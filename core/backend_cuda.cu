/* Device memory, one stream and cuFFT (its only mention).
 *
 * Everything of a backend runs in order on its own stream, so that no call waits for the device except a download, a
 * reduction (which downloads 2 kB) and the freeing of memory. A spectral filter is one batched real-to-complex
 * transform of all channels, the product with the symbol, and the transform back; all filters of a backend share one
 * work area. A record is the stream's capture as a graph; if anything in it cannot be captured, the runtime says so at
 * its end and the launches are made one by one. Errors of earlier kernels come out at the next call that waits, with
 * that call's name. */
#include <cufft.h>
#include <stdio.h>

#include "core/cuda_private.cuh"
#include "core/device_private.h"

typedef struct Cuda {
    int device;
    cudaStream_t stream;
    void *work; /* of the transforms */
    size_t work_bytes;
} Cuda;

static Cuda *cuda_of(const VslBackend *be)
{
    return (Cuda *)be->state;
}

VslStatus vsl_cuda_check(const VslBackend *be, cudaError_t error, const char *what)
{
    if (error == cudaSuccess) {
        return VSL_OK;
    }
    (void)cudaGetLastError(); /* an error that can be overcome must not meet the next call */
    return vsl_fail(error == cudaErrorMemoryAllocation ? VSL_E_NOMEM : VSL_E_DEVICE, __func__, "%s: %s failed: %s",
                    be->name, what, cudaGetErrorString(error));
}

VslStatus vsl_cuda_begin(VslBackend *be, cudaStream_t *stream)
{
    *stream = cuda_of(be)->stream;
    return vsl_cuda_check(be, cudaSetDevice(cuda_of(be)->device), "selecting the device");
}

static VslStatus fft_check(const VslBackend *be, cufftResult result, const char *what)
{
    if (result == CUFFT_SUCCESS) {
        return VSL_OK;
    }
    return vsl_fail(result == CUFFT_ALLOC_FAILED ? VSL_E_NOMEM : VSL_E_DEVICE, __func__,
                    "%s: %s failed: cuFFT error %d", be->name, what, (int)result);
}

/* Bytes of device memory, or the sentence that says how much there is. */
static VslStatus allocate(VslBackend *be, void **out, size_t bytes, const char *what)
{
    cudaStream_t stream;
    cudaError_t error;
    size_t available = 0, total = 0;
    VslStatus st = vsl_cuda_begin(be, &stream);
    if (st != VSL_OK) {
        return st;
    }
    error = cudaMalloc(out, bytes);
    if (error != cudaErrorMemoryAllocation) {
        return vsl_cuda_check(be, error, "allocating memory");
    }
    (void)cudaGetLastError();
    (void)cudaMemGetInfo(&available, &total);
    return vsl_fail(
        VSL_E_NOMEM, be->name,
        "%.0f MiB for the %s do not fit: %.0f of the device's %.0f MiB are free. Coarser images, fewer time "
        "steps or the device cpu need less",
        (double)bytes / 1048576, what, (double)available / 1048576, (double)total / 1048576);
}

static VslStatus cuda_alloc(VslBackend *be, float **out, int64_t count)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    void *data = NULL;
    VSL_TRY(allocate(be, &data, (size_t)count * sizeof(float), "field"));
    VSL_TRY(vsl_cuda_begin(be, &stream));
    VSL_TRY(vsl_cuda_check(be, cudaMemsetAsync(data, 0, (size_t)count * sizeof(float), stream), "clearing a field"));
    *out = (float *)data;
    data = NULL;
out:
    (void)cudaFree(data);
    return st;
}

static void cuda_release(VslBackend *be, float *data)
{
    cudaStream_t stream;
    if (vsl_cuda_begin(be, &stream) == VSL_OK) {
        (void)cudaFree(data); /* waits for what still uses it */
    }
}

static VslStatus cuda_memory(VslBackend *be, int64_t *available, int64_t *total)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    size_t free_bytes = 0, all_bytes = 0;
    VSL_TRY(vsl_cuda_begin(be, &stream));
    VSL_TRY(vsl_cuda_check(be, cudaMemGetInfo(&free_bytes, &all_bytes), "asking for the free memory"));
    *available = (int64_t)free_bytes;
    *total = (int64_t)all_bytes;
out:
    return st;
}

static VslStatus copy_bytes(VslBackend *be, float *to, const float *from, int64_t count, cudaMemcpyKind kind, int wait,
                            const char *what)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    VSL_TRY(vsl_cuda_begin(be, &stream));
    VSL_TRY(vsl_cuda_check(be, cudaMemcpyAsync(to, from, (size_t)count * sizeof(float), kind, stream), what));
    if (wait) {
        VSL_TRY(vsl_cuda_check(be, cudaStreamSynchronize(stream), what));
    }
out:
    return st;
}

static VslStatus cuda_upload(VslBackend *be, float *device, const float *host, int64_t count)
{
    return copy_bytes(be, device, host, count, cudaMemcpyHostToDevice, 1, "copying to the device");
}

static VslStatus cuda_download(VslBackend *be, float *host, const float *device, int64_t count)
{
    return copy_bytes(be, host, device, count, cudaMemcpyDeviceToHost, 1, "computing or copying to the host");
}

static VslStatus cuda_copy(VslBackend *be, float *y, const float *x, int64_t count)
{
    return y == x ? VSL_OK : copy_bytes(be, y, x, count, cudaMemcpyDeviceToDevice, 0, "copying on the device");
}

/* Plans of all channels at once, and of one, for calls that pass fewer. */
enum { ALL, ONE, BATCHES };

typedef struct CudaFilter {
    VslSpectrum spectrum;
    cufftHandle forward[BATCHES], backward[BATCHES];
    int planned[2 * BATCHES];
    void *work[2 * BATCHES]; /* what each plan has been given */
    float *z;                /* complex, all channels */
} CudaFilter;

static void cuda_filter_free(VslFilter *f)
{
    CudaFilter *s = (CudaFilter *)f->state;
    if (s) {
        for (int b = 0; b < BATCHES; b++) {
            if (s->planned[2 * b]) {
                (void)cufftDestroy(s->forward[b]);
            }
            if (s->planned[2 * b + 1]) {
                (void)cufftDestroy(s->backward[b]);
            }
        }
        if (s->z) {
            cuda_release(f->be, s->z);
        }
        vsl_free(s);
        f->state = NULL;
    }
}

/* Work area that all filters of the backend share; grown, never shrunk. */
static VslStatus reserve_work(VslBackend *be, size_t bytes)
{
    VslStatus st = VSL_OK;
    Cuda *c = cuda_of(be);
    if (bytes > c->work_bytes) {
        (void)cudaFree(c->work);
        c->work = NULL;
        c->work_bytes = 0;
        be->moves++;
        VSL_TRY(allocate(be, &c->work, bytes, "work area of the transforms"));
        c->work_bytes = bytes;
    }
out:
    return st;
}

static VslStatus plan(VslBackend *be, cufftHandle *out, int *planned, const VslSpectrum *s, cufftType type, int batch)
{
    VslStatus st = VSL_OK;
    int lengths[3], rank = 0;
    size_t bytes = 0;
    for (int d = 2; d >= 0; d--) { /* slowest first, flat axes left out */
        if (s->n[d] > 1) {
            lengths[rank++] = (int)s->n[d];
        }
    }
    VSL_TRY(fft_check(be, cufftCreate(out), "planning transforms"));
    *planned = 1;
    VSL_TRY(fft_check(be, cufftSetAutoAllocation(*out, 0), "planning transforms"));
    VSL_TRY(fft_check(be, cufftMakePlanMany(*out, rank, lengths, NULL, 1, 0, NULL, 1, 0, type, batch, &bytes),
                      "planning transforms"));
    VSL_TRY(fft_check(be, cufftSetStream(*out, cuda_of(be)->stream), "planning transforms"));
    VSL_TRY(reserve_work(be, bytes > 0 ? bytes : 1)); /* never NULL: what no plan has been given yet */
out:
    return st;
}

static VslStatus cuda_filter_new(VslFilter *f)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    CudaFilter *s = NULL;
    VSL_CHECK(f->n[0] * f->n[1] * f->n[2] > 1, VSL_E_UNSUPPORTED, "a single voxel has no transform on a device");
    VSL_TRY(vsl_cuda_begin(f->be, &stream));
    VSL_TRY(VSL_NEW0(&s, 1, "transform plans"));
    f->state = s;
    s->spectrum = vsl_spectrum(f->n);
    VSL_TRY(cuda_alloc(f->be, &s->z, 2 * s->spectrum.count * f->channels));
    for (int b = 0; b < BATCHES; b++) {
        const int batch = b == ALL ? f->channels : 1;
        VSL_TRY(plan(f->be, &s->forward[b], &s->planned[2 * b], &s->spectrum, CUFFT_R2C, batch));
        VSL_TRY(plan(f->be, &s->backward[b], &s->planned[2 * b + 1], &s->spectrum, CUFFT_C2R, batch));
    }
out:
    if (st != VSL_OK) {
        cuda_filter_free(f);
    }
    return st;
}

/* To modes (real is only read) or back (modes are destroyed). */
static VslStatus transform(VslFilter *f, float *real, int channels, int back)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    CudaFilter *s = (CudaFilter *)f->state;
    Cuda *c = cuda_of(f->be);
    const int which = channels == f->channels ? ALL : ONE, calls = which == ALL ? 1 : channels;
    const int64_t voxels = f->n[0] * f->n[1] * f->n[2];
    const cufftHandle handle = back ? s->backward[which] : s->forward[which];
    void **work = &s->work[2 * which + (back ? 1 : 0)];
    VSL_TRY(vsl_cuda_begin(f->be, &stream));
    if (*work != c->work) { /* not while recording: the call before has done it */
        VSL_TRY(fft_check(f->be, cufftSetWorkArea(handle, c->work), "a transform"));
        *work = c->work;
    }
    for (int q = 0; q < calls; q++) {
        cufftReal *x = real + q * voxels;
        cufftComplex *z = (cufftComplex *)s->z + q * s->spectrum.count;
        VSL_TRY(fft_check(f->be, back ? cufftExecC2R(handle, z, x) : cufftExecR2C(handle, x, z), "a transform"));
    }
out:
    return st;
}

static VslStatus cuda_filter_apply(VslFilter *f, float *out, const float *in, int channels, const float *symbol)
{
    VslStatus st = VSL_OK;
    const CudaFilter *s = (const CudaFilter *)f->state;
    VSL_TRY(transform(f, (float *)in, channels, 0));
    VSL_TRY(vsl_device_symbol(f->be, s->z, symbol, &s->spectrum, channels));
    VSL_TRY(transform(f, out, channels, 1));
out:
    return st;
}

static VslStatus cuda_filter_resample(VslFilter *to, float *out, VslFilter *from, const float *in, int channels)
{
    VslStatus st = VSL_OK;
    const CudaFilter *t = (const CudaFilter *)to->state, *f = (const CudaFilter *)from->state;
    VSL_TRY(transform(from, (float *)in, channels, 0));
    VSL_TRY(vsl_device_resample(to->be, t->z, &t->spectrum, f->z, &f->spectrum, channels));
    VSL_TRY(transform(to, out, channels, 1));
out:
    return st;
}

static VslStatus cuda_record_begin(VslBackend *be)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    VSL_TRY(vsl_cuda_begin(be, &stream));
    /* other threads may go on with devices of their own */
    VSL_TRY(vsl_cuda_check(be, cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "recording launches"));
out:
    return st;
}

static VslStatus cuda_record_end(VslBackend *be, void **launches)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t ready = NULL;
    VSL_TRY(vsl_cuda_begin(be, &stream));
    VSL_TRY(vsl_cuda_check(be, cudaStreamEndCapture(stream, &graph), "recording launches"));
    VSL_TRY(vsl_cuda_check(be, cudaGraphInstantiateWithFlags(&ready, graph, 0), "preparing recorded launches"));
    *launches = ready;
out:
    if (graph) {
        (void)cudaGraphDestroy(graph);
    }
    return st;
}

static VslStatus cuda_replay(VslBackend *be, void *launches)
{
    VslStatus st = VSL_OK;
    cudaStream_t stream;
    VSL_TRY(vsl_cuda_begin(be, &stream));
    VSL_TRY(vsl_cuda_check(be, cudaGraphLaunch((cudaGraphExec_t)launches, stream), "replaying launches"));
out:
    return st;
}

static void cuda_record_free(VslBackend *be, void *launches)
{
    cudaStream_t stream;
    if (vsl_cuda_begin(be, &stream) == VSL_OK) {
        (void)cudaStreamSynchronize(stream);
        (void)cudaGraphExecDestroy((cudaGraphExec_t)launches);
    }
}

static void cuda_close(VslBackend *be)
{
    Cuda *c = cuda_of(be);
    if (c) {
        cudaStream_t stream;
        if (vsl_cuda_begin(be, &stream) == VSL_OK) {
            (void)cudaFree(c->work);
            if (stream) {
                (void)cudaStreamDestroy(stream);
            }
        }
        vsl_free(c);
        be->state = NULL;
    }
}

static const VslBackendTable cuda_table = {
    0 /* is_host */,  cuda_alloc,        cuda_release,         cuda_memory,     cuda_upload,
    cuda_download,    cuda_copy,         vsl_device_axpby,     vsl_device_dots, cuda_filter_new,
    cuda_filter_free, cuda_filter_apply, cuda_filter_resample, cuda_close,      cuda_record_begin,
    cuda_record_end,  cuda_replay,       cuda_record_free,
};

int vsl_backend_count_cuda(void)
{
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        (void)cudaGetLastError();
        count = 0;
    }
    return count;
}

VslStatus vsl_backend_open_cuda(VslBackend *be, int device)
{
    VslStatus st = VSL_OK;
    int count = 0;
    cudaDeviceProp properties;
    Cuda *c = NULL;
    const cudaError_t found = cudaGetDeviceCount(&count);
    (void)cudaGetLastError();
    VSL_CHECK(found == cudaSuccess && count > 0, VSL_E_DEVICE, "the CUDA driver offers no device: %s",
              found == cudaSuccess ? "the driver lists none" : cudaGetErrorString(found));
    VSL_CHECK(device < count, VSL_E_DEVICE, "cuda:%d is absent, the driver lists %d device%s (cuda:0 to cuda:%d)",
              device, count, count == 1 ? "" : "s", count - 1);
    snprintf(be->name, sizeof be->name, "cuda:%d", device);
    VSL_TRY(vsl_cuda_check(be, cudaGetDeviceProperties(&properties, device), "asking for the device"));
    snprintf(be->name, sizeof be->name, "cuda:%d (%.64s)", device, properties.name);
    VSL_TRY(VSL_NEW0(&c, 1, "device"));
    c->device = device;
    be->state = c;
    be->table = &cuda_table;
    VSL_TRY(vsl_cuda_check(be, cudaSetDevice(device), "opening the device"));
    VSL_TRY(vsl_cuda_check(be, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "opening the device"));
out:
    if (st != VSL_OK && c) {
        vsl_free(c);
        be->state = NULL;
        be->table = NULL;
    }
    return st;
}
