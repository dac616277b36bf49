//! Reviews: QA looks at the result of an earlier job, asked for by `/admin_review`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Job, JobMode, JobPayload, Priority, is_valid_id, iso, new_id};

use super::{
    Agents, Foundation, ServiceError, dispatch,
    idempotency::{Answered, IdempotencyKey, Once},
    tasks::{check_task, create_once, earlier},
};

/// The agent that reviews.
const REVIEWER: &str = "qa_bot";

/// A review to be queued.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"job_id": "cf049ed7-6d0d-4b44-9d3c-0d9e2f0a6f11", "review_prompt": "Is anything missing?"}))]
pub struct NewReview {
    /// The job whose result is to be reviewed. It may be one whose result is gone.
    #[schema(min_length = 1, max_length = 200)]
    pub job_id: String,
    /// What to look at.
    #[serde(default = "default_prompt")]
    pub review_prompt: String,
}

fn default_prompt() -> String {
    "Please review this output and provide feedback.".to_owned()
}

/// The answer to a queued review.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReviewReceipt {
    #[schema(example = "admin_review_queued")]
    pub status: String,
    pub review_job_id: String,
    pub original_job_id: String,
    #[schema(example = "qa_bot")]
    pub reviewer: String,
}

impl ReviewReceipt {
    fn of(job: &Job) -> Self {
        Self {
            status: "admin_review_queued".to_owned(),
            review_job_id: job.job_id.clone(),
            original_job_id: job.parent_job_id.clone().unwrap_or_default(),
            reviewer: job.agent.clone(),
        }
    }
}

#[derive(Clone)]
pub struct Reviews {
    base: Arc<Foundation>,
    agents: Agents,
}

impl Reviews {
    pub(super) fn new(base: Arc<Foundation>, agents: Agents) -> Self {
        Self { base, agents }
    }

    /// Queues a review.
    pub async fn ask(&self, new: NewReview) -> Result<ReviewReceipt, ServiceError> {
        Ok(self.ask_once(new, None, None).await?.answer)
    }

    /// Queues a review, with a key only once. `by` is the name of the API key that asks.
    pub async fn ask_once(
        &self,
        new: NewReview,
        key: Option<&IdempotencyKey>,
        by: Option<&str>,
    ) -> Result<Answered<ReviewReceipt>, ServiceError> {
        let once = key.map(|key| Once::new("/admin_review", key, by, &new));
        if let Some(once) = &once
            && let Some(job) = earlier(&self.base, once).await?
        {
            return Ok(Answered { answer: ReviewReceipt::of(&job), replayed: true });
        }
        check_task("review_prompt", &new.review_prompt)?;
        if !is_valid_id(&new.job_id) {
            return Err(ServiceError::field(
                "job_id",
                "string_pattern",
                "A job id has 1 to 200 characters and no control characters",
            ));
        }
        let now = self.base.clock.now();
        let id = once.as_ref().map_or_else(new_id, |once| once.id.clone());
        let mut job =
            dispatch::new_job(&id, JobMode::Review, REVIEWER, &new.review_prompt, Priority::Normal, now);
        job.parent_job_id = Some(new.job_id.clone());
        job.api_key = by.map(str::to_owned);
        let payload = JobPayload {
            job_id: Some(job.job_id.clone()),
            job: Some(format!("{}\n\nOriginal Job ID: {}", new.review_prompt, new.job_id)),
            agent_name: Some(REVIEWER.to_owned()),
            mode: Some("admin_review".to_owned()),
            original_job_id: Some(new.job_id),
            created_at: Some(iso::format(&now)),
            ..JobPayload::default()
        };
        let answered = create_once(&self.base, job, &payload, once.as_ref()).await?;
        if !answered.replayed {
            self.agents.assigned(&[REVIEWER.to_owned()]).await;
        }
        Ok(Answered { answer: ReviewReceipt::of(&answered.answer), replayed: answered.replayed })
    }
}
