//! What an instance that does not lead may not do to the cluster: change it.
//!
//! This stands between the client and the API server, so that no write can be forgotten. It looks when a request is about to be sent; what
//! was on its way already is held back by the precondition that every write carries.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Method, Request};
use tower::{BoxError, Layer, Service};

use crate::leadership::{NotLeading, Tenure};

/// Refuses what would change something while the tenure does not last, with [`NotLeading`].
#[derive(Clone, Debug)]
pub struct GateLayer(Arc<Tenure>);

impl GateLayer {
    /// A gate that is open while the tenure lasts.
    pub fn new(tenure: Arc<Tenure>) -> Self {
        Self(tenure)
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            inner,
            tenure: self.0.clone(),
        }
    }
}

/// See [`GateLayer`].
#[derive(Clone, Debug)]
pub struct Gate<S> {
    inner: S,
    tenure: Arc<Tenure>,
}

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let only_reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if only_reads || self.tenure.leads() {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(ready(Err(NotLeading.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tower::{ServiceBuilder, ServiceExt as _, service_fn};

    use super::*;
    use crate::leadership::Moment;

    async fn passes(method: Method, tenure: &Arc<Tenure>) -> Result<(), String> {
        let service = service_fn(async |_: Request<()>| Ok::<_, Infallible>(()));
        let service = service.map_err(BoxError::from);
        let gated = ServiceBuilder::new()
            .layer(GateLayer::new(tenure.clone()))
            .service(service);
        let request = Request::builder().method(method).body(()).unwrap();
        gated
            .oneshot(request)
            .await
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn only_reads_pass_while_the_instance_does_not_lead() {
        let tenure = Arc::new(Tenure::none());
        let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        for method in writes.clone() {
            let refused = passes(method, &tenure).await;
            assert_eq!(refused, Err(NotLeading.to_string()));
        }
        assert_eq!(passes(Method::GET, &tenure).await, Ok(()));
        tenure.extend(Moment::now().after(Duration::from_hours(1)));
        for method in writes {
            assert_eq!(passes(method, &tenure).await, Ok(()));
        }
    }
}
